"""The job and its sections: what may be set, checked and explained."""
