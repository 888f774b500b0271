"""English words and phrases that tell what part a sentence plays in a trace."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SELF_TALK = _words(
    "wait hm hmm hmmm oh ah uh um huh unsure confuse confused confusing confusion mistake mistakes mistaken wrong "
    "incorrect tricky interesting wonder wondering maybe perhaps might alternatively actually anyway guess nevermind "
    "sorry stuck seem seems seemed think thinking thought suppose believe feel doubt mean missed forgot hold no "
    "yes yeah yep"
)
CHECK = _words(
    "check checks checked checking recheck double verify verifies verified verifying confirm confirms confirmed "
    "confirming test tests tested testing plug plugging plugged consistent match matches matched example examples "
    "instance say imagine counterexample counterexamples try trying tries sanity sense"
)
DERIVATION = _words(
    "therefore thus hence so consequently accordingly implies implying follows means meaning meant give gives given "
    "yield yields yielding result results resulting equal equals equaling become becomes leave leaves leaving left get "
    "gets getting got obtain obtains obtained simplify simplifies simplified substitute substituting plus minus times "
    "multiply multiplied multiplying divide divided dividing subtract subtracted subtracting add adds added adding sum "
    "sums summing totals totaling halve halving doubling triple tripling square squared squaring per each remaining "
    "remain remains spend spends spent earn earns earned buy bought sell sold cost costs because due thats again "
    "previous previously earlier cannot can't"
)
SELF_TALK_PHRASES = (
    "let me",
    "let's see",
    "not sure",
    "step by step",
    "i have this",
    "i have a",
    "i've got",
    "to re",
)
CHECK_PHRASES = ("e g", "does it work", "works out")
DERIVATION_PHRASES = (
    "in this case",
    "must be",
    "has to be",
    "would be",
    "will be",
    "that's",
    "this is",
    "these are",
    "from this",
    "from that",
    "from above",
    "as above",
    "as before",
)
COMMON = _words(
    "a an the of to in is are and or that for with on by from as at be can need we i will it how many which what have "
    "has their its find use when between"
)
"""Words that one in four is of, in an English sentence."""
OPEN_ENDS = _words(
    "a an the of to in is are was were and or that for with on by from as at be can how which what its"
)
"""Words that do not end a sentence: what they lead to was cut off."""
