/// A text as the sequences that a tagger reads, with the place of each token in the text.
public struct PreparedTagging: Sendable, Hashable {
    /// A sequence with what its tokens are.
    public struct Window: Sendable, Hashable {
        /// The sequence.
        public let text: PreparedText
        /// Which of its tokens are classified: those of the text, without special tokens and other segments.
        public let tokens: Range<Int>
        /// Where each of these tokens lies in the text, in Unicode scalars.
        public let offsets: [Range<Int>]
    }

    /// The text that is tagged.
    public let source: String
    /// One sequence, or several that overlap when the text is too long for one.
    public let windows: [Window]

    /// Whether tokens were left out.
    public var isTruncated: Bool { windows.contains(where: \.text.isTruncated) }
}
