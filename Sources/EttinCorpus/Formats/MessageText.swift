import EttinFiles

/// Text from a file or option, in quotes and on one line, for a message.
func shown(_ text: String) -> String { quoted(text, limit: 80) }
