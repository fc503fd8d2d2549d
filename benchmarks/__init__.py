"""How fast the parts are, beside the plain way, what one would use instead, and the machine's limit.

    python -m benchmarks                 all subjects
    python -m benchmarks mel sampling    some of them
    python -m benchmarks --quick         fewer rounds, smaller sizes
    python -m benchmarks --json out.json machine and rows as JSON
    python -m benchmarks growth --plots DIR   time against work as pictures

A way is timed in turns with the others in one process, so that what else runs on the machine meets all alike.
Each subject has a process of its own, so that its peak memory is its own. Needs Linux or macOS.
"""
