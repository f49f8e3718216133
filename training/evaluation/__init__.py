"""A run judged by the papers' protocols, each number beside chance and beside what was published."""
