"""One job in its own process: plan it, check it, power the device, boot it, test it, report."""
