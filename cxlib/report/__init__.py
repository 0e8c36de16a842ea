"""Plans of notebooks become published pages: check, run, render, publish."""
