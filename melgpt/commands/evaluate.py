"""A model measured beside real sounds, by listeners that learn from the training clips first.

Every table has the rows that figures are read by: real clips (the floor), mel and vocoder, codec and vocoder
(the ceiling of any prior), a copy machine, class means, noise and silence. REPORT/report.html shows all,
REPORT/report.json holds it.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melgpt.arguments import add_runtime, add_sampling, check_seed, positive, runtime_of, sampling_of

if TYPE_CHECKING:
    from melgpt.data.store import Store
    from melgpt.training.fit_listeners import ListenerTraining

PARTS = ("codec", "prior", "vocoder", "vae")
MOST_FINDINGS = 3
"""That are said at the end; the report holds all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("data", type=Path, metavar="DATA", help="prepared data set that it was trained on")
    parser.add_argument("--out", type=Path, required=True, metavar="REPORT", help="folder to write to")
    parser.add_argument("-n", type=positive, default=40, help="new clips of each class (40)")
    parser.add_argument(
        "--split",
        choices=["test", "valid", "train"],
        help="real clips to compare with (test; valid where there are no test clips)",
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed and options, same report (0)")
    parser.add_argument(
        "--listeners",
        type=Path,
        metavar="FOLDER",
        help="listeners of `melgpt train classifier`; default: trained into REPORT/listeners, once",
    )
    parser.add_argument(
        "--extractor", type=Path, metavar="FILE", help="another classifier whose features are compared"
    )
    parser.add_argument(
        "--melception", type=Path, metavar="FILE", help="imported Melception: the originals' measures, too"
    )
    parser.add_argument(
        "--fail-under",
        action="append",
        default=[],
        metavar="MEASURE=VALUE",
        help="exit with 2 where the model is worse, such as accuracy=0.8, codec.mel_l1=0.05; repeatable",
    )
    add_sampling(parser)
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    from melgpt import checkpoint
    from melgpt.audio.picture import open_matplotlib
    from melgpt.data.store import Store
    from melgpt.evaluation.evaluate import Evaluation
    from melgpt.evaluation.limits import check_limits, read_limits
    from melgpt.evaluation.listeners import Listeners, files_in
    from melgpt.evaluation.protocol import Asked, check_fit
    from melgpt.evaluation.references import choose_sides, default_split
    from melgpt.evaluation.report import write_report
    from melgpt.evaluation.report.reading import headline, read
    from melgpt.model_folder import load
    from melgpt.paths import refuse_file
    from melgpt.progress import say
    from melgpt.runtime import RuntimeConfig
    from melgpt.training.fit_listeners import ListenerTraining

    limits = read_limits(args.fail_under, melception=args.melception is not None)
    check_seed(args.seed)
    refuse_file(args.out)
    store, model = Store.open(args.data), load(args.model, **runtime_of(args))
    sampling = model.sampling(**sampling_of(args)).plain()
    check_fit(model, store)
    sides = choose_sides(store, args.split or default_split(store), args.n, args.seed)
    settings, runtime = _settings(args.model), RuntimeConfig.parse(runtime_of(args))
    training = ListenerTraining(args.out / "listeners", settings, runtime)
    files = None if args.listeners is None else files_in(args.listeners)
    open_matplotlib()
    # What keeps one from writing there is said now, not at the end.
    args.out.mkdir(parents=True, exist_ok=True)
    files = training.train_all(store) if files is None else files
    listeners = Listeners.open(files, store, args.extractor)
    parents = {
        part: checkpoint.describe(file).parents
        for part in PARTS
        if (file := args.model / f"{part}.safetensors").is_file()
    }
    asked = Asked(args.model.resolve().name, parents, args.n, args.seed, sampling)
    work = Evaluation(
        model,
        store,
        sides,
        listeners,
        asked,
        work=args.out / "work",
        melception=args.melception and checkpoint.load(args.melception, "classifier"),
    )
    learning = ListenerTraining(args.out / "work", settings, runtime)
    result = work.run(_learner(learning, store, listeners.members[0].part.config))
    write_report(args.out, result, work.shown)
    say(headline(result))
    for finding in read(result)[:MOST_FINDINGS]:
        say(f"- {finding.what} {finding.advice}")
    print(args.out / "report.html")
    check_limits(result, limits)
    return 0


def _settings(model: Path) -> Any:
    """How the model's recipe trains listeners; the defaults where it says nothing of them."""
    from melgpt.config import read_toml
    from melgpt.paths import RECIPE
    from melgpt.training.settings import ClassifierTraining

    file = model / RECIPE
    recipe = read_toml(file) if file.is_file() else {}
    return ClassifierTraining.parse(recipe.get("train", {}).get("classifier", {}), where="train.classifier")


def _learner(training: "ListenerTraining", store: "Store", like: Any) -> Any:
    """Trains a listener on new clips alone."""
    from melgpt.training.listener_batches import Examples

    def learn(mels: Any, labels: Any) -> Any:
        examples = Examples(lambda number: mels[number].T.numpy(), labels, len(store.labels), store.scale)
        return training.train_on("listener_on_new_clips", examples, examples, like)

    return learn
