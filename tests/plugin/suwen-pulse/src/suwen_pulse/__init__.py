"""An example of a package beside suwen: a modality, a head and a question that suwen does not have."""
