"""How far probabilities are from the shares of votes.

Kullback and Leibler, On information and sufficiency, Ann. Math. Stat. 22 (1951) 79;
Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991)
145.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

Values = NDArray[np.float64]


def kl(votes: Values, probabilities: Values) -> Values:
    """Return the divergence of votes from probabilities in nats ``(utterance,)``.

    Args:
        votes: shares ``(utterance, class)``
        probabilities: ``(utterance, class)``, rows sum to 1

    Returns:
        0 or more; infinite where a class with votes has probability 0
    """
    return np.maximum(rel_entr(votes, probabilities).sum(axis=1), 0.0)


def jensen_shannon(votes: Values, probabilities: Values) -> Values:
    """Return the Jensen-Shannon divergence in bits ``(utterance,)``, 0 to 1.

    It is the mean divergence of both from their mean, base 2, not its square root,
    which is the Jensen-Shannon distance.

    Args:
        votes: shares ``(utterance, class)``
        probabilities: ``(utterance, class)``, rows sum to 1
    """
    mean = (votes + probabilities) / 2
    both = (kl(votes, mean) + kl(probabilities, mean)) / (2 * np.log(2))
    return np.minimum(both, 1.0)
