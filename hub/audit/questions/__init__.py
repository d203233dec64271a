"""Questions: the 24 that auditors, the rapporteur and IT teams ask, each answered from the log.

    asking.py      what a question is, its parameters, and the walk over the log
    answer.py      what comes back: a plain table with the log position it was given at
    catalogue.py   all of them, by id
    the rest       the answers, by subject; `docs/questions.md` tells what each rests on

Read only, metadata only, one pass over the log. An answer as of a position is the same whenever it
is asked, but for what is looked up as it is now and says so (the key store, in Q11).
"""

from hub.audit.questions.answer import Answer, Column
from hub.audit.questions.asking import Hub, Parameter, Question, answer, option
from hub.audit.questions.catalogue import QUESTIONS, named

__all__ = [
    "QUESTIONS",
    "Answer",
    "Column",
    "Hub",
    "Parameter",
    "Question",
    "answer",
    "named",
    "option",
]
