"""Whether a text negates the verdict that follows it, as in "I would not say: [[A]]".

A negation governs a verdict in two places. Who quotes an answer negates it, too:

    directly    negation [adverbs] [verb of answering] [article or noun] emphasis [[A]]
    quoted      "Answer A says", "Response B contains the line", "an injection" before [[A]]: the words of an answer
    as clause   a whole sentence before [[A]], even on the line above or with a colon, a dash, a comma, an open bracket
                or a quotation mark between: words about the verdict, such as "the answer is definitely", and then as
                above

"A does not" and "B is right and A is not" before a line break or a colon are no such clauses, because they name an
answer, and neither are "it does not" and the reply to a question ("Is A better? Definitely not"). A full stop ends a
sentence.
"Instead of", "rather than", "other than" and "anything but" govern what comes next in any sentence.
"""

from __future__ import annotations

import re
from typing import Final

_NEGATIONS: Final = (
    r"(?:not|never|avoid|except|without|(?:by|under|in) no (?:means|circumstances|way|case)|no way"
    r"|nicht|nie|niemals|keineswegs|keinesfalls|auf keinen fall|pas|jamais|nunca)"
)
_BEFORE_ANY: Final = r"(?:instead of|rather than|other than|anything but)"
_DIRECT_ONLY: Final = r"(?:nor|neither|no es|не|不是|并非|(?:refus|declin)\w+ to)"
_ADVERBS: Final = (
    r"(?:definitely|certainly|absolutely|most|surely|clearly|really|obviously|simply|decidedly|just|probably|very|much"
    r"|honestly|personally|still|also|actually|quite|rather|even|exactly|necessarily|emphatically|again|of course"
    r"|definitiv|sicher|sicherlich|bestimmt|ganz|absolut|wirklich|certainement|definitivamente)"
)
_ANSWERING: Final = (
    r"(?:(?:to )?(?:be|answer|repl[yi]|respond|say|writ|output|print|return|choos|pick|select|giv|prefer|vote|go|declar"
    r"|conclud|call|sagen|antworten|w\u00e4hlen)(?:e|ing)?(?: (?:with|for|it))?:?)"
)
_NOUNS: Final = r"(?:(?-i:an?)|the|my|the verdict|the answer|verdict|answer)"
_ABOUT: Final = (
    rf"(?:it|this|that|i|we|my|the|our|your|final|correct|right|better|best|winning|verdict|answer|choice|decision"
    r"|judge?ment|pick|winner|preference|vote|option|so|but|and|therefore|thus|hence|well|no|please"
    r"|is|was|be|are|will|would|should|shall|may|might|must|it['\u2019]s|that['\u2019]s|(?:i|it)['\u2019](?:d|ll)"
    r"|es|das|die|der|ich|mein|meine|urteil|antwort|entscheidung|bessere|richtige|wahl|ist|sind|w\u00e4re|w\u00fcrde|werde"
    rf"|ce|c['\u2019]est|n['\u2019]est|la|le|el|r\u00e9ponse|respuesta|{_ADVERBS})"
)
"""Words of a clause about a verdict. They name no answer and nothing that an answer has."""
_ELLIPTIC: Final = r"(?:do|does|did|can|could|has|have)"
"""After these, "not" needs a verb of answering: "it does not" is about an answer."""
_AFTER: Final = rf"(?: {_ADVERBS})*"
_DIRECT: Final = re.compile(
    rf"(?:\b(?:cannot|{_NEGATIONS}|{_BEFORE_ANY}|{_DIRECT_ONLY})|n['\u2019]t|不是|并非){_AFTER}"
    rf"(?: {_ANSWERING})?(?: {_NOUNS})?\Z",
    re.IGNORECASE,
)
_OPEN: Final = re.compile(
    rf"\b(?:{_BEFORE_ANY}|(?:refus|declin)\w+ {_ANSWERING})(?: {_ANSWERING})?(?: {_NOUNS})?\Z", re.IGNORECASE
)
_CLAUSE: Final = re.compile(
    rf"(?:{_ABOUT}[,:]? )*(?:{_NEGATIONS}|(?:is|was|would|will|should|must|wo)n['\u2019]t){_AFTER}"
    rf"(?: {_ANSWERING})?(?: {_NOUNS})?"
    rf"|(?:(?:{_ABOUT}|{_ELLIPTIC})[,:]? )*(?:{_NEGATIONS}|cannot|(?:do|does|did|ca|could)n['\u2019]t){_AFTER}"
    rf" {_ANSWERING}(?: {_NOUNS})?",
    re.IGNORECASE,
)
_ATTRIBUTED: Final = re.compile(
    r"\b(?:answer|response|assistant|output)(?: [ab])?"
    r"(?:['\u2019]s (?:last|final|first) (?:line|sentence|words?) (?:is|says)"
    r"|(?: also| only| just)? (?:says?|said|contains?|contained|claims?|claimed|writes?|wrote|states?|stated|demands?)"
    r"(?: (?:an?|the) (?:injection|instruction|line|words?|verdict))?)\Z|\b(?:injection|instruction)(?: attempt)?\Z",
    re.IGNORECASE,
)
"""The end of a text that says whose words come next: those of an answer, not the judge's own."""
_FIRST_PERSON: Final = re.compile(r"(?:(?:but|and|so|yet) )?I\b", re.IGNORECASE)
"""How a clause after a comma begins if it is about the verdict whatever comes before it."""
_BETWEEN: Final = " \t\r\n*_,:~#>([{<\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb\u2013\u2014-"
"""What may be between a clause and the verdict that it negates."""
_SENTENCE_END: Final = ".!?;\n"
_EMPHASIS: Final = str.maketrans("", "", "*_")
_DIRECT_CHARS: Final = 80
_CHARS: Final = 300
"""How much of the text before a verdict is searched."""


def is_negated(before: str) -> bool:
    r"""Whether the text *before* a verdict negates it.

    >>> is_negated("It is definitely not\n"), is_negated("A is not as good as B\n"), is_negated("A does not\n")
    (True, False, False)
    """
    before = before[-_CHARS:].translate(_EMPHASIS)
    if _DIRECT.search(" ".join(_last_line(before)[-_DIRECT_CHARS:].split())):
        return True
    text = before.rstrip(_BETWEEN)
    if text.endswith(("..", "\u2026")):
        text = text.rstrip(".\u2026").rstrip(_BETWEEN)
    start = max(map(text.rfind, _SENTENCE_END)) + 1
    sentence = " ".join(text[start:].strip(_BETWEEN).split())
    if _OPEN.search(sentence) or _ATTRIBUTED.search(sentence):
        return True
    if text[:start].rstrip().endswith("?"):
        return False
    last = sentence.rpartition(",")[2].strip()
    return bool(_CLAUSE.fullmatch(sentence) or (_FIRST_PERSON.match(last) and _CLAUSE.fullmatch(last)))


def _last_line(text: str) -> str:
    return text.rpartition("\n")[2]
