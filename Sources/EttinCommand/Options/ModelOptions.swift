import ArgumentParser
import EttinInference
import Torch

/// Where and in what precision a model runs.
struct ModelOptions: ParsableArguments {
    @Option(help: "The type to compute in; that of the files unless given.")
    var dtype: ComputeDType?

    @OptionGroup var place: DeviceOptions

    /// Sets the number of threads and finds the device.
    ///
    /// - Throws: `DeviceError` when this machine does not have it.
    func prepare() throws -> ComputeOptions {
        ComputeOptions(device: try place.prepare(), dtype: dtype?.torch)
    }
}

/// The types that models are run in.
enum ComputeDType: String, ExpressibleByArgument, CaseIterable {
    case float32
    case bfloat16

    var torch: DType { self == .float32 ? .float32 : .bfloat16 }
}
