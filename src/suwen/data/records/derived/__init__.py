"""Variables that are worked out from others (shock index, P/F ratio, eGFR …), as events of their own, for any store."""
