"""What a fault costs a device: nothing that was promised."""
