// swift-tools-version: 6.2
import PackageDescription

// Depends on Ettin by version, as Examples/Embedder does.
let ettin: Package.Dependency =
    if let url = Context.environment["ETTIN_PACKAGE_URL"] {
        .package(url: url, from: "0.1.0")
    } else {
        .package(name: "ettin-swift", path: "../..")
    }

let package = Package(
    name: "EmbeddingServer",
    platforms: [.macOS(.v15)],
    dependencies: [ettin, .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.0.0")],
    targets: [
        .executableTarget(
            name: "EmbeddingServer",
            dependencies: [
                .product(name: "Ettin", package: "ettin-swift"),
                .product(name: "Hummingbird", package: "hummingbird"),
            ]
        )
    ]
)
