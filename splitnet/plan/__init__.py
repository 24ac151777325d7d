"""Where to cut, with which codec: what was measured, what a request would take, and the best choice.

`plan` and `best` need the standard library alone and are meant for a device's loop; `splitnet.plan.profile` reads what
`splitnet profile` wrote. Neither imports torch, matplotlib or gRPC.
"""

from splitnet.plan.candidate import Candidate, Constraints, Link, Mode, Objective
from splitnet.plan.planner import Plan, Prediction, best, plan, predict

__all__ = [
    "Candidate",
    "Constraints",
    "Link",
    "Mode",
    "Objective",
    "Plan",
    "Prediction",
    "best",
    "plan",
    "predict",
]
