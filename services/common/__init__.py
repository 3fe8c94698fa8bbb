"""What every service needs and nothing more: serving, channels, errors, settings, provenance, CIDs.

Knows no business rule of any service.
"""
