"""Critical-mineral data of many agencies, harmonised into releases that can be queried and verified."""
