"""What happens while tiles are refined: the tile loop, faults and retries, memory, statistics, noise inside steps."""
