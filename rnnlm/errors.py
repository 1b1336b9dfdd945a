"""Every error that rnnlm raises on purpose.

    RnnlmError                 exit status 1: something that the user cannot mend
    ├── InputError             exit status 2: a file, a text or an argument that the user can mend
    │   ├── ConfigError        a key of the YAML file or of ``--set``
    │   ├── TextError          a text or vocabulary file
    │   └── ModelError         a model file or a run folder
    ├── NotFiniteError         training met a loss or gradient that is not finite
    └── ResourceError          too little memory or disk; the network was refused

A message is one line: the file, the line or the key; what was found; what would be right.
"""


class RnnlmError(Exception):
    """Base of all errors; its text is one line for the user."""

    exit_status = 1


class InputError(RnnlmError):
    exit_status = 2


class ConfigError(InputError):
    pass


class TextError(InputError):
    pass


class ModelError(InputError):
    pass


class NotFiniteError(RnnlmError):
    pass


class ResourceError(RnnlmError):
    pass
