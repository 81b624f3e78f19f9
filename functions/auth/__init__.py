"""Who somebody is: login, and the authorizer that checks what login gave out."""
