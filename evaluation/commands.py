"""Commands of the second stage, each declared in a module of its own."""

from evaluation.audit_command import AUDIT
from evaluation.compare_command import COMPARE
from evaluation.evaluate_command import EVALUATE
from evaluation.fit_command import FIT
from evaluation.folds_command import FOLDS
from evaluation.label_commands import LABELS
from evaluation.layers_command import LAYERS
from evaluation.list_command import LIST
from evaluation.merging_command import MERGING
from evaluation.reproduce_command import REPRODUCE

COMMANDS = [
    *(FIT, COMPARE, AUDIT, EVALUATE, LAYERS, MERGING, REPRODUCE),
    *(FOLDS, LIST, LABELS),
]
