"""A list of English function words.

Function words are a closed class with grammatical rather than lexical meaning: articles
and other determiners, pronouns, prepositions and the particles that look like them,
conjunctions, auxiliary verbs, and the few adverbs that join clauses or only mark
degree. The list includes the archaic forms of the King James Bible. A listed word
counts in all its senses, such as `will`, `might`, `mine` and `art`. Negations such as
`not`, `no` and `without` and numerals such as `one` are not listed, because removing
them changes what a text states.
"""

import string

_DETERMINERS = """
a all an another any both certain each either every few many more most much other
others own same several some such the that these this those yon yonder
"""
_PRONOUNS = """
anyone anything everyone everything he her hers herself him himself his i it its
itself me mine my myself oneself our ours ourself ourselves she someone something
their theirs them themselves they thee thine thou thy thyself us we what whatever
whatsoever which whichever who whoever whom whomsoever whose whoso whosoever ye you
your yours yourself yourselves
"""
_PREPOSITIONS = """
about above across after against along amid amidst among amongst around at before
behind below beneath beside besides between betwixt beyond by concerning despite down
during ere except for from in inside into like near nigh of off on onto out outside
over past round since through throughout till to toward towards under underneath unto
until up upon with within
"""
_CONJUNCTIONS = """
also although and as because but else even hence if lest or otherwise so than then
thence therefore though thus whence when whenever whensoever where whereas whereby
wherefore wherein whereof whereon whereupon wherever wherewith whereunto whether while
whilst whither whithersoever why how howbeit however yea yet
"""
_ADVERBS = """
again away here hereby herein hither just moreover now only quite rather somewhat
there thereby therein thereof thereon thereto thereunto thereupon therewith thither
too very
"""
_AUXILIARIES = """
am are art be been being beest can canst could couldest couldst did didst do does
doest doing done dost doth had hadst has hast hath have having is may mayest mayst
might mightest must ought shall shalt should shouldest shouldst was wast were wert
will wilt would wouldest wouldst
"""
_CONTRACTIONS = """
he'd he'll he's i'd i'll i'm i've it's let's she'd she'll she's that's there's they'd
they'll they're they've tis twas we'd we'll we're we've what's who's you'd you'll
you're you've
"""

FUNCTION_WORDS = frozenset(
    (
        _DETERMINERS
        + _PRONOUNS
        + _PREPOSITIONS
        + _CONJUNCTIONS
        + _ADVERBS
        + _AUXILIARIES
        + _CONTRACTIONS
    ).split()
)
"""All function words in lower case, with `'` for apostrophes."""

_PUNCTUATION = string.punctuation + string.whitespace + "‘’“”–—…"


def is_function_word(word: str) -> bool:
    """Returns whether a word is listed; case and surrounding punctuation are ignored."""
    return word.lower().replace("’", "'").strip(_PUNCTUATION) in FUNCTION_WORDS
