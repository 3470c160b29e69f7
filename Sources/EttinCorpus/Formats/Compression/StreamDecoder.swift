/// Decompression piece by piece, for inputs that do not fit into memory.
protocol StreamDecoder: AnyObject {
    /// Whether the input may end here.
    var isComplete: Bool { get }

    /// Decompresses what fits.
    ///
    /// - Returns: How many bytes of the input were used up and how many of the output were filled.
    func decode(
        _ input: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) throws(StreamDecodingFailure) -> (consumed: Int, produced: Int)
}

/// Why compressed bytes cannot be decompressed, in the words of the library.
struct StreamDecodingFailure: Error {
    let reason: String
}
