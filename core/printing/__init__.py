"""From a page of our own to a PDF, and whether this machine can make one."""
