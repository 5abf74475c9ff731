class InvalidLoggerSamplingRateError(Exception):
    """Logger configured with Invalid Sampling value
    """



class OrphanedChildLoggerError(Exception):
    """Orphaned Child logger exception
    """

