"""The optimizers, a file a rule.

A file has the rule's equation, the moments that it keeps, the class of its constants, and its step on a block of a
parameter; the rule is entered in ``optimizer.RULES``.

In the equations g is the gradient after clipping, w the weight, a the learning rate, l the weight decay (0 for
biases). m is a running mean of the gradient, v a sum or running mean of its squares.
"""
