# Sets `melgpt` to the command of this clone: its own environment, else its sources, else what is installed.
melgpt=(melgpt)
if [ -x ../.venv/bin/melgpt ]; then
    melgpt=(../.venv/bin/melgpt)
else
    for python in python python3; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            export PYTHONPATH="$PWD/..${PYTHONPATH:+:$PYTHONPATH}"
            melgpt=("$python" -m melgpt)
            break
        fi
    done
fi
