// Which implementation a layer gets in an engine for CPUs: `engine: CAFFE` in a layer gives Caffe's own, without it ours.
// In the place of what layer_factory.cpp registers; gpu/layers.cpp is for engines with CUDA.
#include "caffe/layer_factory.hpp"
#include "convolution.hpp"
#include "lrn.hpp"
#include "pooling.hpp"

namespace caffe {

template <typename Dtype>
shared_ptr<Layer<Dtype>> Convolution(const LayerParameter& param) {
  if (param.convolution_param().engine() == ConvolutionParameter_Engine_CAFFE)
    return shared_ptr<Layer<Dtype>>(new ConvolutionLayer<Dtype>(param));
  return shared_ptr<Layer<Dtype>>(new BlockedConvolutionLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(Convolution, Convolution);

template <typename Dtype>
shared_ptr<Layer<Dtype>> Pooling(const LayerParameter& param) {
  if (param.pooling_param().engine() == PoolingParameter_Engine_CAFFE)
    return shared_ptr<Layer<Dtype>>(new PoolingLayer<Dtype>(param));
  return shared_ptr<Layer<Dtype>>(new PlanewisePoolingLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(Pooling, Pooling);

template <typename Dtype>
shared_ptr<Layer<Dtype>> LRN(const LayerParameter& param) {
  if (param.lrn_param().engine() == LRNParameter_Engine_CAFFE)
    return shared_ptr<Layer<Dtype>>(new LRNLayer<Dtype>(param));
  return shared_ptr<Layer<Dtype>>(new PiecewiseLRNLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(LRN, LRN);

}  // namespace caffe
