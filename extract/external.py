"""External: numbers made elsewhere, put in from a file by ``external --from``.

Text or face embeddings, another model's vectors, frames of another toolkit: one array
per utterance, ``(channel,)``, ``(frame, channel)`` or ``(layer, frame, channel)``, all
of one kind and width, keyed by the utterance. It hears no audio, so ``extract`` cannot
make it. The file is one of::

    .parquet    a column id, or file with start and end in seconds where it is cut; then
                columns of numbers, or one column of lists (of lists for frames), which
                a column shape gives more axes
    .csv, .tsv  a column id, or file, start, end; then columns of numbers
    .npz        one array per id (numpy.savez), no pickled objects

An id is that of the manifest (``corpus/relative path[#start-end]``), or the same
without the corpus where that is one utterance, or the file's absolute path. In the
cache, the feature has the name that it is given, never a plug-in's, and its fingerprint
holds the sha256 of the file: another file is another feature. Utterances that the file
has no array for are recorded as failed with the reason; NaN are kept, and what holds
one is not ``valid``.

Axes: a table of vectors, or ``(layer, frame, channel)``; float32, frames also float16.

Source: whatever made the file; its licence and citation are yours to know.
"""

from typing import NoReturn

from contracts.errors import ExtractionError
from contracts.extraction import Options


def load(options: Options) -> NoReturn:
    """Refuse: these numbers come from a file.

    Raises:
        ExtractionError: always, with the command that puts a file in
    """
    msg = (
        "external features come from a file, not from audio. Run: python pipeline.py "
        "external --from FILE --corpus NAME --name NAME"
    )
    raise ExtractionError(msg)
