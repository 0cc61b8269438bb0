// Grafana's types as JSON spells them: an enum is its value, and a datasource reference is complete.

import type * as schema from '@grafana/schema';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';
import type * as bargauge from './node_modules/@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as stat from './node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeseries from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// A literal of an enum's value is not of the enum's type; `${Enum}` is the union of its values.
export type Plain<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Array<Plain<Item>>
      : T extends (...given: never[]) => unknown
        ? never
        : T extends object
          ? { [Key in keyof T]: Plain<T[Key]> }
          : T;

// What the Prometheus source adds to an annotation, which the schema leaves to each source.
type PrometheusQuery = Omit<Dataquery, '_implementsDataqueryVariant' | 'datasource'> & schema.DataQuery;
type PrometheusAnnotation = schema.AnnotationQuery<PrometheusQuery> & {
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
};

export type Dashboard = Plain<
  Omit<schema.Dashboard, 'annotations'> & { annotations: { list: PrometheusAnnotation[] } }
>;
export type Query = Plain<PrometheusQuery>;

export type Options = {
  timeseries: Plain<timeseries.Options>;
  stat: Plain<stat.Options>;
  bargauge: Plain<bargauge.Options>;
};
export type Custom = { timeseries: Plain<timeseries.FieldConfig> };
