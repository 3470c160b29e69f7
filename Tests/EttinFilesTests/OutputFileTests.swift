import EttinFiles
import TestSupport
import Testing

@Suite("Output files and folders")
struct OutputFileTests {
    @Test("A folder appears when it is committed, with everything in it")
    func commit() throws {
        try withTemporaryFolder { folder in
            let output = try AtomicFolder(path: folder.file("model/"))
            try AtomicFile.write([1, 2, 3], to: "\(output.temporaryPath)/x")
            #expect(try folder.names.contains("model") == false)
            try output.commit()
            #expect(try folder.names == ["model"])
            #expect(try folder.read("model/x") == [1, 2, 3])
        }
    }

    @Test("A folder that is not committed leaves nothing")
    func abandon() throws {
        try withTemporaryFolder { folder in
            var output: AtomicFolder? = try AtomicFolder(path: folder.file("model"))
            try AtomicFile.write([1], to: "\(try #require(output).temporaryPath)/x")
            output = nil
            #expect(try folder.names == [])
        }
    }

    @Test("A folder that is not committed leaves nothing of the folders inside it, and does not follow links")
    func abandonNested() throws {
        try withTemporaryFolder { folder in
            try FilePath.makeFolder(folder.file("other"))
            try folder.write("kept", "other/x")
            var output: AtomicFolder? = try AtomicFolder(path: folder.file("model"))
            let temporary = try #require(output).temporaryPath
            try FilePath.makeFolder("\(temporary)/1_Pooling/deeper")
            try AtomicFile.write([1], to: "\(temporary)/1_Pooling/deeper/config.json")
            try FilePath.replaceLink("\(temporary)/1_Pooling/link", to: folder.file("other"))
            output = nil
            #expect(try folder.names == ["other"])
            #expect(try folder.read("other/x") == Array("kept".utf8))
        }
    }

    @Test("An empty folder is replaced, one that holds something and a file are not")
    func occupied() throws {
        try withTemporaryFolder { folder in
            try AtomicFolder(path: folder.file("model")).commit()
            try AtomicFolder(path: folder.file("model")).commit()
            try folder.write("x", "model/x")
            for path in ["model", "model/x", "absent/model", ".."] {
                #expect(throws: FileError.self) { try AtomicFolder(path: folder.file(path)) }
            }
            #expect(try folder.names == ["model"])
        }
    }

    @Test("A folder that several remove at once is gone, and none of them fails")
    func removedTogether() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file("doomed")
        for index in 0..<60 {
            try FilePath.makeFolder("\(path)/\(index % 12)/x")
            try folder.write("x", "doomed/\(index % 12)/\(index)")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { try FilePath.removeTree(path) } }
            try await group.waitForAll()
        }
        #expect(!FilePath.exists(path))
        try FilePath.removeTree(path)
        #expect(try folder.names == [])
    }

    @Test("A place where no file can be is found out before work begins")
    func places() throws {
        try withTemporaryFolder { folder in
            try AtomicFile.checkPlace(folder.file("x"))
            #expect(try folder.names == [])
            #expect(throws: FileError.self) { try AtomicFile.checkPlace(folder.file("absent/x")) }
            #expect(throws: FileError.self) { try AtomicFile.checkPlace(folder.path) }
        }
    }
}
