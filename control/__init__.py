"""control: balances become warnings, decisions and commands; commands become verified relays."""
