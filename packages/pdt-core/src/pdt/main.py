"""placeholder until the cli lands"""
