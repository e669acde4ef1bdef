"""proof: that nothing is lost, doubled or sent twice, whatever the disk, the clock or the wire do."""
