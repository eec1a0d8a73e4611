"""One part of each kind, as in a package elsewhere: nothing lists them."""
