/// The ids of the tokens that frame, fill and mask sequences; the defaults are the suite's.
public struct SpecialTokens: Sendable, Hashable, Codable {
    /// `[UNK]`.
    public var unknown: Int32
    /// `[CLS]`, which starts every sequence.
    public var start: Int32
    /// `[SEP]`, which ends the encoder's sequences.
    public var end: Int32
    /// `[PAD]`.
    public var padding: Int32
    /// `[MASK]`.
    public var mask: Int32

    /// Creates ids.
    ///
    /// - Parameters:
    ///   - unknown: `[UNK]`.
    ///   - start: `[CLS]`.
    ///   - end: `[SEP]`.
    ///   - padding: `[PAD]`.
    ///   - mask: `[MASK]`.
    public init(
        unknown: Int32 = 50280,
        start: Int32 = 50281,
        end: Int32 = 50282,
        padding: Int32 = 50283,
        mask: Int32 = 50284
    ) {
        self.unknown = unknown
        self.start = start
        self.end = end
        self.padding = padding
        self.mask = mask
    }

    /// Whether an id is one of them.
    ///
    /// - Parameter id: A token id.
    /// - Returns: True for each of the five.
    @inline(__always)
    package func contains(_ id: Int32) -> Bool {
        id == unknown || id == start || id == end || id == padding || id == mask
    }
}
