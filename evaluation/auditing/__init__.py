"""What bad practices would add, and what somebody else's predictions allow to say."""
