"""`python -m recipes.hoffer_2017`."""

from recipes.hoffer_2017.study import STUDY
from recipes.study.command_line import make_app

make_app(STUDY)()
