import EttinModel
import TestSupport
import Testing

@Suite("Arrays for numpy")
struct NumPyFileTests {
    @Test(
        "An array has the header that numpy writes",
        arguments: [([2, 3], "(2, 3)"), ([6], "(6,)"), ([0, 4], "(0, 4)"), ([], "()")]
    )
    func numpy(_ shape: [Int], _ spelled: String) throws {
        try withTemporaryFolder { folder in
            let count = shape.reduce(1, *)
            let values = (0..<count).map { Float($0) / 3 }
            try NumPyFile.write(values, shape: shape, to: folder.file("x.npy"))
            let bytes = try folder.read("x.npy")
            // numpy 2.4 wrote headers of this length for all four shapes.
            #expect(bytes.count == 128 + 4 * count)
            #expect(Array(bytes[..<10]) == [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0])
            let header = String(decoding: bytes[10..<128], as: UTF8.self)
            #expect(header.hasPrefix("{'descr': '<f4', 'fortran_order': False, 'shape': \(spelled), }  "))
            #expect(header.hasSuffix(" \n"))
            let read = bytes[128...].withUnsafeBytes { data in
                (0..<count).map { data.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
            }
            #expect(read == values)
        }
    }

    @Test("Values that do not fill the shape are refused")
    func wrongCount() throws {
        try withTemporaryFolder { folder throws in
            #expect(throws: CheckpointError.self) { try NumPyFile.write([1], shape: [2], to: folder.file("x.npy")) }
            #expect(try folder.names == [])
        }
    }
}
