import Testing

@testable import EttinInference

/// Embeddings rounded to bytes and bits; every number is from sentence-transformers 6.2's `quantize_embeddings`.
@Suite struct EmbeddingPrecisionTests {
    private static func embeddings(_ rows: [[Float]]) -> TextEmbeddings {
        TextEmbeddings(
            values: rows.flatMap(\.self),
            dimensions: rows.first?.count ?? 0,
            isTruncated: rows.map { _ in false }
        )
    }

    /// The fourth dimension is the same everywhere, so that its range is empty.
    private static let given = embeddings([
        [0.625, -0.828125, -0.640625, 0.5, -0.640625, 0.609375, 0.75, 0.171875, -0.921875, -0.8125],
        [-0.34375, -0.140625, 0.25, 0.5, -0.46875, -0.6875, 0.390625, 0.46875, -0.9375, -0.78125],
        [-0.09375, -0.21875, 0.78125, 0.5, -0.15625, -0.140625, 0.328125, 0.171875, -0.65625, 0.484375],
        [0.515625, 0.921875, 0.578125, 0.5, -0.359375, 0.296875, 0.296875, 0.390625, 0.75, -0.421875],
    ])
    private static let samples = embeddings([
        [0.453125, -0.5, -0.4375, 0.5, 0.453125, -0.203125, -0.359375, -0.1875, -0.46875, 0.390625],
        [0.171875, 0.09375, -0.265625, 0.5, -0.3125, 0.28125, -0.03125, -0.484375, -0.25, 0.203125],
        [0.015625, -0.125, -0.25, 0.5, 0.109375, 0.15625, 0.015625, 0.4375, 0.4375, -0.296875],
    ])

    @Test func bytesAreStepsBetweenTheEndsOfARange() throws {
        let rounded = try Self.given.quantized(to: .uint8)
        #expect(rounded.bytesPerEmbedding == 10 && rounded.count == 4)
        #expect(rounded[0] == [255, 0, 0, 0, 0, 254, 255, 0, 2, 0])
        #expect(rounded[3] == [226, 255, 218, 0, 148, 193, 0, 187, 255, 76])
        let signed = try Self.given.quantized(to: .int8)
        #expect(signed[0] == [127, -128, -128, -128, -128, 126, 127, -128, -126, -128])
        #expect(signed[1] == [-128, -28, 31, -128, -38, -128, -76, 126, -128, -122])
    }

    @Test func rangesMayBeThoseOfOtherEmbeddings() throws {
        let ranges = try EmbeddingRanges(calibratedBy: Self.samples)
        let rounded = try Self.given.quantized(to: .uint8, ranges: ranges)
        #expect(rounded[0] == [255, 0, 0, 0, 0, 255, 255, 181, 0, 0])
        #expect(rounded[2] == [0, 120, 255, 0, 52, 32, 255, 181, 0, 255])
        let signed = try Self.given.quantized(to: .int8, ranges: ranges)
        #expect(signed[1] == [-128, 26, 127, -128, -128, -128, 127, 127, -128, -128])
    }

    @Test func rangesMayBeStored() throws {
        let ranges = try EmbeddingRanges(calibratedBy: Self.samples)
        #expect(try EmbeddingRanges(minimums: ranges.minimums, maximums: ranges.maximums) == ranges)
        for (low, high) in [([0, 1], [1]), ([0], [-1]), ([.nan], [1]), ([0], [.infinity])] as [([Float], [Float])] {
            #expect(throws: InferenceError.self) { try EmbeddingRanges(minimums: low, maximums: high) }
        }
    }

    @Test func bitsAreSignsEightToAByte() throws {
        let bits = try Self.given.quantized(to: .ubinary)
        #expect(bits.bytesPerEmbedding == 2)
        #expect((0..<4).map { bits[$0] } == [[151, 0], [51, 0], [51, 64], [247, 128]])
        let signed = try Self.given.quantized(to: .binary)
        #expect((0..<4).map { signed[$0] } == [[23, -128], [-77, -128], [-77, -64], [119, 0]])
    }

    @Test func oneEmbeddingHasNoRangeAndAnotherWidthDoesNotFit() throws {
        let one = Self.embeddings([[1, 2]])
        #expect {
            try one.quantized(to: .int8)
        } throws: {
            "\($0)"
                == "--precision is int8 of 1 embedding, which has no range; "
                + "expected --calibration FILE with texts like it, or more texts"
        }
        #expect {
            try EmbeddingRanges(calibratedBy: one)
        } throws: {
            "\($0)".hasPrefix("--calibration is 1 embedding, which has no range; expected texts")
        }
        #expect(try one.quantized(to: .binary)[0] == [64])
        #expect {
            try one.quantized(to: .int8, ranges: EmbeddingRanges(calibratedBy: Self.samples))
        } throws: {
            "\($0)" == "--calibration is of embeddings with 10 dimensions; expected those with 2"
        }
        #expect(try Self.embeddings([]).quantized(to: .int8).bytes.isEmpty)
    }
}
