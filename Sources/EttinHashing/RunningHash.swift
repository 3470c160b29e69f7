import Ccrypto

/// A hash of bytes that pass by, by the system's libcrypto, which has the processor's own instructions for most of them.
package struct RunningHash: Sendable {
    /// The algorithms; raw values are libcrypto's names.
    package enum Algorithm: String, Sendable, CaseIterable {
        case md5 = "MD5"
        case sha1 = "SHA1"
        case sha224 = "SHA2-224"
        case sha256 = "SHA2-256"
        case sha384 = "SHA2-384"
        case sha512 = "SHA2-512"
    }

    private var context: HashContext

    /// Starts the hash of nothing.
    package init(_ algorithm: Algorithm) {
        context = HashContext()
        let isReady = EVP_DigestInit_ex(context.pointer, Implementation.of(algorithm).pointer, nil)
        precondition(isReady == 1, "libcrypto does not start \(algorithm.rawValue)")
    }

    /// Adds bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if !isKnownUniquelyReferenced(&context) { context = HashContext(copying: context) }
        let isDone = EVP_DigestUpdate(context.pointer, bytes.baseAddress, bytes.count)
        precondition(isDone == 1, "libcrypto does not add to a hash")
    }

    /// The hash of what was added so far.
    package func digest() -> [UInt8] {
        let final = HashContext(copying: context)
        return [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            var size: UInt32 = 0
            let isDone = EVP_DigestFinal_ex(final.pointer, buffer.baseAddress, &size)
            precondition(isDone == 1, "libcrypto does not finish a hash")
            count = Int(size)
        }
    }

    /// The hash of bytes at hand.
    package static func digest(_ bytes: UnsafeRawBufferPointer, _ algorithm: Algorithm) -> [UInt8] {
        var hash = RunningHash(algorithm)
        hash.update(bytes)
        return hash.digest()
    }
}

/// The state of a hash.
///
/// Not checked: a `RunningHash` changes only a state that it alone refers to.
private final class HashContext: @unchecked Sendable {
    let pointer: OpaquePointer

    init() {
        guard let pointer = EVP_MD_CTX_new() else { preconditionFailure("out of memory for a hash") }
        self.pointer = pointer
    }

    convenience init(copying other: HashContext) {
        self.init()
        let isDone = EVP_MD_CTX_copy_ex(pointer, other.pointer)
        precondition(isDone == 1, "libcrypto does not copy a hash")
    }

    deinit {
        EVP_MD_CTX_free(pointer)
    }
}

/// An algorithm as libcrypto finds it; looked up once.
///
/// Not checked: libcrypto's descriptions of algorithms do not change.
private struct Implementation: @unchecked Sendable {
    let pointer: OpaquePointer

    private static let all: [RunningHash.Algorithm: Implementation] = Dictionary(
        uniqueKeysWithValues: RunningHash.Algorithm.allCases.map { algorithm in
            // These hashes find damage and protect nothing, so that a machine restricted to approved algorithms has
            // MD5 for them, too.
            guard let pointer = EVP_MD_fetch(nil, algorithm.rawValue, "-fips") else {
                preconditionFailure("this machine's libcrypto has no \(algorithm.rawValue)")
            }
            return (algorithm, Implementation(pointer: pointer))
        }
    )

    static func of(_ algorithm: RunningHash.Algorithm) -> Implementation {
        guard let found = all[algorithm] else { preconditionFailure("\(algorithm) was not looked up") }
        return found
    }
}
