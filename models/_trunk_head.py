"""What VGG and fusion share: their recipe, which frames they take, the last map.

``frame_stride`` and ``max_frames`` make other networks than the published one: fewer
frames end in a smaller map, which the next layer has fewer weights for. They are meant
for machines where the published one takes too long. A run with them is told apart by
its settings, and each of its folds says in ``learnt`` which ``network`` it is. With
12 layers of 768 channels and 8 labels, VGG has

===========================  ========  ==========
options                      last map  parameters
===========================  ========  ==========
none, or ``max_frames=263``  3 x 9      1,411,064
``max_frames=184``           2 x 9      1,300,472
``max_frames=131``           1 x 9      1,189,880
``frame_stride=2``           1 x 9      1,189,880
===========================  ========  ==========
"""

from dataclasses import dataclass

from contracts.errors import RunError, listing
from contracts.view import View
from models._frames import FrameHead
from models._trunk import GRID, SMALLEST

FRAMES = 263  # of the longest recording of RAVDESS, which the published map is for


@dataclass(eq=False, repr=False, kw_only=True)
class TrunkHead(FrameHead):
    """A head on the convolutions of VGG, with the recipe of both.

    Where it is not the published network, ``learnt_`` has a sentence ``network``; with
    ``max_frames`` also ``n_cut``, how many training utterances are longer.

    Args:
        frame_stride: of so many frames one is taken, the first; 1: all. Another
            number is another network
        max_frames: frames of an utterance, before the stride; what is longer is cut
            at its end. None: all of them, and the published map. Another network
    """

    lr: float = 1e-5
    batch_size: int = 25
    clip_norm: float | None = 10.0
    frame_stride: int = 1
    max_frames: int | None = None

    @property
    def is_published(self) -> bool:
        """Whether every frame is taken, as the published network does."""
        return self.frame_stride == 1 and self.max_frames is None

    @property
    def grid(self) -> tuple[int, int]:
        """Frames and channels of the last map, as what it is made for leaves them."""
        n_frames = len(range(self.max_frames or FRAMES)[:: self.frame_stride])
        return max(1, n_frames // SMALLEST), GRID[1]

    def refuse_options(self) -> None:
        """Refuse numbers of frames that leave no map, too."""
        super().refuse_options()
        bad = []
        if self.frame_stride < 1:
            bad.append(f"frame_stride of 1 or more, got {self.frame_stride}")
        least = SMALLEST * max(1, self.frame_stride)
        if self.max_frames is not None and self.max_frames < least:
            bad.append(
                f"max_frames of {SMALLEST} times frame_stride or more, here {least}, "
                f"got {self.max_frames}"
            )
        if bad:
            msg = f"{self.name} cannot train: expected {listing(bad)}"
            raise RunError(msg)

    def chosen_frames(self) -> slice:
        """Return which frames of an utterance are taken."""
        return slice(None, self.max_frames, self.frame_stride)

    def prepare(self, train: View) -> None:
        """Say which network this is, unless it is the published one."""
        super().prepare(train)
        if self.is_published:
            return
        parts = []
        if self.frame_stride > 1:
            parts.append(f"one of {self.frame_stride} frames")
        if self.max_frames is not None:
            parts.append(f"the first {self.max_frames} frames")
            [place] = self.layers_at(train)
            n = train.n_frames(self.features[place])
            self.learnt_["n_cut"] = int((n > self.max_frames).sum())
        self.learnt_["network"] = (
            f"another network than the published {self.name}: {' of '.join(parts)}, "
            f"last map {self.grid[0]} x {self.grid[1]}"
        )
