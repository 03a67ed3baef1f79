"""Commands of the second stage, each declared in a module of its own."""

from evaluation.auditing.audit_command import AUDIT
from evaluation.fit_command import FIT
from evaluation.labelling.label_commands import LABELS
from evaluation.labelling.merging_command import MERGING
from evaluation.layers_command import LAYERS
from evaluation.list_command import LIST
from evaluation.reproducing.reproduce_command import REPRODUCE
from evaluation.splits.folds_command import FOLDS
from evaluation.statistics.compare_command import COMPARE
from evaluation.transfer.evaluate_command import EVALUATE

COMMANDS = [
    *(FIT, COMPARE, AUDIT, EVALUATE, LAYERS, MERGING, REPRODUCE),
    *(FOLDS, LIST, LABELS),
]
