"""`python -m recipes.jaiswal_taura`."""

from recipes.jaiswal_taura.study import STUDY
from recipes.study.command_line import make_app

make_app(STUDY)()
