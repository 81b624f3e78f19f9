"""The artefacts of `sam build`."""
