"""What ``fit`` says of a finished run."""

from collections.abc import Iterator

from contracts.run import Run
from evaluation.measures.metrics import per_group, per_variant, score_run
from evaluation.measures.soft_labels import soft_scores_of
from evaluation.measures.traits import traits_of
from evaluation.measures.unsaid import unsaid
from evaluation.statistics.systems import says_labels


def result_text(run: Run) -> str:
    """Say how a run scores: over folds, under each variant, and what folds chose."""
    said = "".join(f" [{w}]" for w in (*run.warnings, *unsaid(run)))
    if not says_labels(run):
        return f"{run.run_id}: {_traits(run)}{said}"
    whole = score_run(run)
    folds = [s.uar for s in per_group(run, "fold").values()]
    spread = f" (folds {min(folds):.3f} to {max(folds):.3f})" if len(folds) > 1 else ""
    under = "".join(
        f"\n  under {name}: UAR {s.uar:.3f}, {s.n} of {whole.n} utterances"
        for name, s in per_variant(run).items()
    )
    under += "".join(f"\n  {line}" for line in _chosen(run))
    return (
        f"{run.run_id}: UAR {whole.uar:.3f}{spread}, WAR {whole.war:.3f}, "
        f"F1 {whole.f1:.3f}, {whole.n} utterances{said}{under}"
    )


def _traits(run: Run) -> str:
    """Say how near a run comes to the traits that it predicts."""
    return ", ".join(
        f"{one.trait} concordance {one.concordance:.3f} over {one.n} utterances"
        for one in traits_of(run) or ()
    )


def _chosen(run: Run) -> Iterator[str]:
    """Yield what each fold chose on its training speakers, and what it is worth."""
    for fold in run.record["folds"]:
        where = f"chosen in fold {fold['index']}"
        if "searched" in fold:
            yield f"{where}: {fold['searched']['settings']}"
        own = {k: fold["chosen"].get(k) for k in ("temperature", "threshold")}
        if told := [f"{k} {v:.2f}" for k, v in own.items() if v is not None]:
            yield f"{where}: {', '.join(told)}"
    soft = soft_scores_of(run) if run.thresholds is not None else None
    if soft is not None and soft.exact_set_chosen is not None:
        yield (
            f"exactly the labels with more than 0.2 of the votes: {soft.exact_set:.3f} "
            f"at 0.2, {soft.exact_set_chosen:.3f} at the thresholds chosen, "
            f"{soft.n} utterances with votes"
        )
