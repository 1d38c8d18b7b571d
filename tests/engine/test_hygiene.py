"""What interfaces import of the engine brings no torch with it."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "numpy")
CODE = f"""
import sys
from engine.spec import methods, options_from
import engine.examples, engine.errors
found = methods()
assert {{"sft", "dpo"}} <= set(found), found
for method in found.values():
    options_from(method, {{"learning_rate": "1e-3"}})
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_reading_methods_and_options_imports_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


def test_every_option_says_what_it_is() -> None:
    from dataclasses import fields

    from engine.spec import methods

    for method in methods().values():
        for option in fields(method.options):
            assert option.metadata["help"], (method.name, option.name)
