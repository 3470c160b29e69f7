import EttinModel
import TestSupport
import Testing

@Suite("Output files and folders")
struct OutputFileTests {
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

    @Test("A folder appears when it is committed, with everything in it")
    func commit() throws {
        try withTemporaryFolder { folder in
            let output = try AtomicFolder(path: folder.file("model/"))
            try NumPyFile.write([1], shape: [1], to: "\(output.temporaryPath)/x.npy")
            #expect(try folder.names.contains("model") == false)
            try output.commit()
            #expect(try folder.names == ["model"])
            #expect(try folder.read("model/x.npy").count == 132)
        }
    }

    @Test("A folder that is not committed leaves nothing")
    func abandon() throws {
        try withTemporaryFolder { folder in
            var output: AtomicFolder? = try AtomicFolder(path: folder.file("model"))
            try NumPyFile.write([1], shape: [1], to: "\(try #require(output).temporaryPath)/x.npy")
            output = nil
            #expect(try folder.names == [])
        }
    }

    @Test("An empty folder is replaced, one that holds something and a file are not")
    func occupied() throws {
        try withTemporaryFolder { folder in
            try AtomicFolder(path: folder.file("model")).commit()
            try AtomicFolder(path: folder.file("model")).commit()
            try folder.write("x", "model/x")
            for path in ["model", "model/x", "absent/model", ".."] {
                #expect(throws: CheckpointError.self) { try AtomicFolder(path: folder.file(path)) }
            }
            #expect(try folder.names == ["model"])
        }
    }

    @Test("A place where no file can be is found out before work begins")
    func places() throws {
        try withTemporaryFolder { folder in
            try AtomicFile.checkPlace(folder.file("x"))
            #expect(try folder.names == [])
            #expect(throws: CheckpointError.self) { try AtomicFile.checkPlace(folder.file("absent/x")) }
            #expect(throws: CheckpointError.self) { try AtomicFile.checkPlace(folder.path) }
        }
    }
}
