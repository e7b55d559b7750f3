"""From one release to the next: compare, plan, take resumable steps, and back again."""
